/*
 * The shape tables (common/aws/shapes/SERVICE.json) as bytes in the program, for
 * shapes.c: aws_table_SERVICE .. aws_table_SERVICE_end.
 */
	.section .rodata

	.macro table service
	.global aws_table_\service, aws_table_\service\()_end
	.balign 8
aws_table_\service:
	.incbin "common/aws/shapes/\service\().json"
aws_table_\service\()_end:
	.byte 0
	.endm

	table elasticloadbalancing
	table autoscaling
	table monitoring
	table ec2
	table sts
	table iam
	table sns
	table acm
	table ssm
	table config

	.section .note.GNU-stack, "", @progbits
