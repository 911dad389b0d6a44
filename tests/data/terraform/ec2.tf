# Servers in the default network: groups, a key, a template, instances, a volume, an address.
variable "changed" {
  type    = bool
  default = false
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

data "aws_availability_zones" "all" {
  state = "available"
}

data "aws_ami" "linux" {
  most_recent = true
  owners      = ["amazon"]
  filter {
    name   = "name"
    values = ["al2023-ami-2023*-x86_64"]
  }
}

data "aws_ec2_instance_type" "small" {
  instance_type = "t3.small"
}

resource "aws_security_group" "web" {
  name        = "web"
  description = "web servers"
  vpc_id      = data.aws_vpc.default.id
  ingress {
    description = "http"
    from_port   = 80
    to_port     = 80
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0", "10.0.0.0/8"]
  }
  ingress {
    from_port = 22
    to_port   = 22
    protocol  = "tcp"
    self      = true
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
  tags = { Name = "web", Stage = "${var.changed ? "two" : "one"}" }
}

resource "aws_security_group" "db" {
  name_prefix = "db-"
  vpc_id      = data.aws_vpc.default.id
}

resource "aws_vpc_security_group_ingress_rule" "db" {
  security_group_id            = aws_security_group.db.id
  referenced_security_group_id = aws_security_group.web.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = var.changed ? 5433 : 5432
  description                  = "from the web servers"
}

resource "aws_vpc_security_group_egress_rule" "db" {
  security_group_id = aws_security_group.db.id
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_key_pair" "lab" {
  key_name   = "lab"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKkd0rQ0JEHfg0YcJcRO2zvMHQuKbR1ywRRZsCN7LYi9 lab"
}

resource "aws_launch_template" "web" {
  name_prefix            = "web-"
  image_id               = data.aws_ami.linux.id
  instance_type          = "t3.micro"
  key_name               = aws_key_pair.lab.key_name
  vpc_security_group_ids = [aws_security_group.web.id]
  update_default_version = true
  user_data = base64encode(<<-EOT
    #!/bin/bash
    echo "${var.changed ? "second" : "first"}" > index.html
    exec python3 -m http.server --bind $HOST 8000
  EOT
  )
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size = 10
      volume_type = "gp3"
    }
  }
  monitoring {
    enabled = true
  }
  metadata_options {
    http_tokens = "required"
  }
  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "from-template" }
  }
}

resource "aws_instance" "template" {
  subnet_id = data.aws_subnets.default.ids[0]
  launch_template {
    id      = aws_launch_template.web.id
    version = "1"
  }
  # The template's tags and data as well: on AWS too the provider would plan to change them for ever
  # otherwise (its issue 30825).
  tags      = { Name = "from-template" }
  user_data = <<-EOT
    #!/bin/bash
    echo first > index.html
    exec python3 -m http.server --bind $HOST 8000
  EOT
}

resource "aws_instance" "plain" {
  ami                    = data.aws_ami.linux.id
  instance_type          = data.aws_ec2_instance_type.small.id
  availability_zone      = data.aws_availability_zones.all.names[1]
  vpc_security_group_ids = var.changed ? [aws_security_group.web.id, aws_security_group.db.id] : [aws_security_group.web.id]
  key_name               = aws_key_pair.lab.key_name
  root_block_device {
    volume_size = 12
    volume_type = "gp3"
    tags        = { Name = "root" }
  }
  tags = { Name = "plain", Stage = "${var.changed ? "two" : "one"}" }
}

resource "aws_ebs_volume" "data" {
  availability_zone = aws_instance.plain.availability_zone
  size              = var.changed ? 6 : 4
  type              = "gp3"
  tags              = { Name = "data" }
}

resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdf"
  volume_id   = aws_ebs_volume.data.id
  instance_id = aws_instance.plain.id
}

resource "aws_eip" "plain" {
  domain   = "vpc"
  instance = aws_instance.plain.id
  tags     = { Name = "plain" }
}

output "template_address" {
  value = aws_instance.template.private_ip
}

output "plain" {
  value = aws_instance.plain.id
}

output "eip" {
  value = aws_eip.plain.public_ip
}
