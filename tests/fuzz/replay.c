/* A main() for a fuzzer built by any compiler: feeds it the files it is given, one after another.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_INPUT = 1 << 20 };

static int replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *room = malloc(MAX_INPUT), *data;
	size_t size;

	if (!file || !room) {
		perror(path);
		exit(2);
	}
	size = fread(room, 1, MAX_INPUT, file);
	fclose(file);
	/* As long as the input and no longer, so that a read past its end is seen. */
	data = realloc(room, size ? size : 1);
	LLVMFuzzerTestOneInput(data ? data : room, size);
	free(data ? data : room);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%d inputs replayed\n", argc - 1);
	return 0;
}
