# Albatross: everything is built, tested and run from here.
#
#   make            build/albatross-lb, build/albatross-scaler, build/albatross-lab
#   make lab        install what is missing, build, run the lab on conf/lab.json
#   make test       install what is missing, build, run every test; ends in "N passed, N failed"
#   make test-clients   the long ones of Terraform and Ansible, besides: some ten minutes
#   make unit       only the C unit tests
#   make asan tsan  the tests under ASan+UBSan; the load balancer's under TSan
#   make fuzz       the fuzzers over their corpora, then FUZZ_SECONDS of new inputs each
#   make lint       clang-format, clang-tidy, shellcheck, black, layering
#   make format     rewrites the sources in the house style
#   make bench      the load balancer, nginx, HAProxy and a bare relay side by side (docs/benchmark.md);
#                   make bench-quick: the first row alone, 40 s; ARGS='--row NAME' and more: bench/run.py --help
#   make bench-scaler   the autoscaler: a tick of 1,000 groups, and policies over load curves beside
#                   simulated AWS
#   make bench-instructions   its user instructions a request, against those of bench/instructions.txt
#   make bench-reaction   from a step in load to RunInstances, with the real load balancer and scaler; 2 minutes
#   make shapes     re-extracts the AWS shape tables from python3-botocore
#   make deps       installs the Debian packages to build and run; make test-deps those to test
#   make install    into $(DESTDIR)$(PREFIX)
#   make clean
#
# MODE=release|debug|asan|tsan keeps each flavour's objects apart; V=1 shows the commands.

MODE ?= release
CC ?= cc
PREFIX ?= /usr/local
PYTHON ?= /usr/bin/python3
JOBS ?= 2
Q := $(if $(V),,@)

ifeq ($(MODE),release)
BIN := build
else
BIN := build/$(MODE)
endif
OBJ := build/obj/$(MODE)

DEPS := build-essential libevent-dev libssl-dev libcurl4-openssl-dev libjansson-dev libxml2-dev \
	libsqlite3-dev libpcre2-dev libcbor-dev libglib2.0-dev zlib1g-dev uthash-dev libbsd-dev tzdata \
	node-llhttp python3
TEST_DEPS := libcmocka-dev awscli python3-boto3 python3-botocore python3-pytest \
	python3-pytest-xdist python3-pytest-timeout apache2-utils wrk curl procps iproute2 openssh-client \
	openssl ansible
# What the walk through the lab in README.md types.
LAB_DEPS := apache2-utils awscli curl
LINT_DEPS := clang-format clang-tidy clang shellcheck black git
BENCH_DEPS := apache2-utils nginx haproxy

LLHTTP ?= /usr/share/llhttp
LLHTTP_INCLUDE ?= /usr/share/include/llhttp

# -Wsign-conversion, which -Wconversion brings along in C, is off: sizes and counts meet ints from
# the kernel and from jansson on every page, and its casts would hide the narrowing ones that matter.
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion \
	-Wno-sign-conversion -Wswitch-enum -Wformat=2 -Wvla -Wpointer-arith -Wundef
CPPFLAGS += -I. -D_GNU_SOURCE -DHASH_NONFATAL_OOM=1 -isystem /usr/include/libxml2 \
	-isystem $(LLHTTP_INCLUDE)
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2
# What every request runs through is optimised as one when albatross-lb is linked (docs/benchmark.md);
# the unit tests link the same objects as they are.
CFLAGS_hot_release := -O3 -fno-plt -flto -ffat-lto-objects
CFLAGS_debug := -Og -g3
CFLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
CFLAGS += -std=gnu17 -fPIE -pthread -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection $(CFLAGS_$(MODE))
LDFLAGS += -pie -pthread -Wl,-z,relro,-z,now -Wl,--as-needed $(CFLAGS_$(MODE))
LDLIBS := -levent_core -levent_extra -levent_pthreads -lcurl -ljansson -lxml2 -lsqlite3 -lpcre2-8 \
	-lcbor -lcrypto -lz -lm -lglib-2.0

sources = $(shell find $(1) -name '*.c' -o -name '*.S' 2>/dev/null | sort)
objects = $(patsubst %,$(OBJ)/%.o,$(basename $(1)))
AREAS := common lb scaler lab
PROGRAMS := $(foreach p,lb scaler lab,$(if $(wildcard $(p)/main.c),$(BIN)/albatross-$(p)))
UNIT := $(patsubst tests/unit/%.c,$(OBJ)/tests/unit/%,$(shell find tests/unit -name 'test_*.c'))
BENCHES := $(addprefix $(BIN)/bench/,load relay rules target)
LLHTTP_OBJECTS := $(OBJ)/llhttp/llhttp.o $(OBJ)/llhttp/api.o $(OBJ)/llhttp/http.o

.PHONY: all lab test test-clients unit asan tsan fuzz lint format bench bench-quick bench-instructions bench-scaler bench-reaction shapes deps test-deps install clean \
	pytest unit-programs bench-programs
.DELETE_ON_ERROR:
.SECONDARY:
all: $(PROGRAMS)

define area
$(OBJ)/lib$(1).a: $(call objects,$(filter-out $(1)/main.c,$(call sources,$(1))))
	@rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
endef
$(foreach a,$(AREAS),$(eval $(call area,$(a))))

LIBS_common :=
LIBS_lb := $(OBJ)/liblb.a $(LLHTTP_OBJECTS)
LIBS_scaler := $(OBJ)/libscaler.a
LIBS_lab := $(OBJ)/liblab.a

define program
$(BIN)/albatross-$(1): $(OBJ)/$(1)/main.o $(LIBS_$(1)) $(OBJ)/libcommon.a
	@mkdir -p $$(@D)
	@echo 'LD   $$@'
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LDLIBS)
endef
$(foreach p,lb scaler lab,$(eval $(call program,$(p))))

$(OBJ)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo 'CC   $<'
	$(Q)$(CC) $(CPPFLAGS) $(WARNINGS) $(CFLAGS) -MMD -MP -c $< -o $@

HOT := lb/main lb/proxy/% lb/routing/% lb/observe/% common/base/%
$(patsubst %,$(OBJ)/%.o,$(HOT)): CFLAGS += $(CFLAGS_hot_$(MODE))
LTO = $(if $(CFLAGS_hot_$(MODE)),-fno-lto)
LDFLAGS += $(LTO)
$(BIN)/albatross-lb: LTO = $(if $(CFLAGS_hot_$(MODE)),-O3 -flto=$(JOBS))

$(OBJ)/%.o: %.S Makefile
	@mkdir -p $(@D)
	@echo 'AS   $<'
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# The one file that uses GLib (its time zones).
$(OBJ)/common/base/time_zone.o: CPPFLAGS += \
	$(patsubst -I%,-isystem %,$(shell pkg-config --cflags-only-I glib-2.0 2>/dev/null))

# The tables that .incbin embeds.
$(OBJ)/common/aws/shapes_data.o: $(wildcard common/aws/shapes/*.json)

# Debian ships llhttp as generated C: compiled as it is, without our warnings.
$(OBJ)/llhttp/%.o: $(LLHTTP)/%.c
	@mkdir -p $(@D)
	@echo 'CC   $<'
	$(Q)$(CC) -I$(LLHTTP_INCLUDE) -DLLHTTP_STRICT_MODE=1 $(CFLAGS) -O3 -w -c $< -o $@

# tests/unit/AREA/test_x.c is linked with AREA's library and common's.
.SECONDEXPANSION:
$(OBJ)/tests/unit/%: $(OBJ)/tests/unit/%.o $$(LIBS_$$(firstword $$(subst /, ,$$*))) $(OBJ)/libcommon.a
	@echo 'LD   $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

# test_x_oom.c makes the n-th allocation fail.
$(OBJ)/tests/unit/%_oom: LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup

unit-programs: $(UNIT)
bench-programs: $(PROGRAMS) $(BENCHES)

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)

deps:
	@tools/deps.sh $(DEPS)

test-deps:
	@tools/deps.sh $(DEPS) $(TEST_DEPS)

lab:
	@tools/deps.sh $(DEPS) $(LAB_DEPS)
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@exec $(BIN)/albatross-lab $(or $(CONF),conf/lab.json)

test: test-deps
	@$(MAKE) --no-print-directory -j$(JOBS) all unit-programs
	@tests/js/install.sh
	@$(PYTHON) tests/run.py --mode $(MODE) --bin $(BIN) --unit $(OBJ)/tests/unit --pytest tests

# Every corner of Terraform's and Ansible's modules: some ten minutes.
test-clients: test-deps
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@$(PYTHON) tests/run.py --mode $(MODE) --bin $(BIN) --long --pytest tests

unit:
	@$(MAKE) --no-print-directory -j$(JOBS) unit-programs
	@$(PYTHON) tests/run.py --mode $(MODE) --bin $(BIN) --unit $(OBJ)/tests/unit

asan:
	@$(MAKE) --no-print-directory MODE=asan test

# TSan watches what has threads: the load balancer.
tsan: test-deps
	@$(MAKE) --no-print-directory MODE=tsan -j$(JOBS) all unit-programs
	@$(PYTHON) tests/run.py --mode tsan --bin build/tsan --unit build/obj/tsan/tests/unit/lb --pytest tests/lb

fuzz:
	@tests/fuzz/run.sh $(or $(FUZZ_SECONDS),30)

lint:
	@tools/deps.sh $(DEPS) $(TEST_DEPS) $(LINT_DEPS)
	@tools/lint.sh

format:
	@tools/deps.sh clang-format black
	@git ls-files '*.[ch]' | xargs clang-format -i
	@git ls-files '*.py' | xargs -r black -q

# bench/x.c: build/bench/x, with what of the load balancer and of common it uses.
$(BIN)/bench/%: $(OBJ)/bench/%.o $(LIBS_lb) $(OBJ)/libcommon.a
	@mkdir -p $(@D)
	@echo 'LD   $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The scaler's own.
$(BIN)/bench/fleet: $(OBJ)/bench/fleet.o $(LIBS_scaler) $(OBJ)/libcommon.a
	@mkdir -p $(@D)
	@echo 'LD   $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BIN)/bench/load: $(addprefix $(OBJ)/bench/,load_cpu.o load_options.o)

bench bench-quick: deps
	@tools/deps.sh $(BENCH_DEPS)
	@$(MAKE) --no-print-directory -j$(JOBS) all bench-programs
	@NGINX='$(NGINX)' HAPROXY='$(HAPROXY)' $(PYTHON) bench/run.py --bin $(BIN) $(if $(filter bench-quick,$@),--quick) \
		$(if $(LB2),--lb head=$(BIN)/albatross-lb --lb other=$(LB2)) $(ARGS)
	@$(if $(filter bench,$@),$(if $(ARGS),,$(BIN)/bench/rules))

bench-instructions: deps
	@tools/deps.sh valgrind
	@$(MAKE) --no-print-directory -j$(JOBS) all bench-programs
	@bench/instructions.py --bin $(BIN) $(ARGS)

bench-scaler: deps
	@$(MAKE) --no-print-directory -j$(JOBS) $(BIN)/albatross-scaler $(BIN)/bench/fleet
	@$(PYTHON) bench/scaler.py --bin $(BIN) $(ARGS)

bench-reaction: deps
	@tools/deps.sh python3-boto3
	@$(MAKE) --no-print-directory -j$(JOBS) all bench-programs
	@$(PYTHON) bench/reaction.py --bin $(BIN) $(ARGS)

shapes:
	@tools/deps.sh python3-botocore
	@$(PYTHON) tools/shapes.py

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/albatross/conf \
		$(DESTDIR)$(PREFIX)/share/doc/albatross
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	cp -R conf/. $(DESTDIR)$(PREFIX)/share/albatross/conf
	install -m 644 README.md LICENSE $(wildcard docs/*.md) $(DESTDIR)$(PREFIX)/share/doc/albatross

clean:
	rm -rf build
