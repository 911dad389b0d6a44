# A group with a warm pool, changed and taken away again.

variable "pool" {
  type    = number
  default = 1
}

data "aws_ami" "linux" {
  most_recent = true
  owners      = ["amazon"]
  filter {
    name   = "name"
    values = ["al2023-ami-2023*-x86_64"]
  }
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

resource "aws_launch_template" "web" {
  name          = "web"
  image_id      = data.aws_ami.linux.id
  instance_type = "t3.micro"
}

resource "aws_autoscaling_group" "web" {
  name                      = "web"
  min_size                  = 1
  max_size                  = 3
  desired_capacity          = 1
  vpc_zone_identifier       = data.aws_subnets.default.ids
  wait_for_capacity_timeout = "2m"
  launch_template {
    id      = aws_launch_template.web.id
    version = "$Latest"
  }
  dynamic "warm_pool" {
    for_each = var.pool > 0 ? [var.pool] : []
    content {
      pool_state                  = warm_pool.value == 1 ? "Stopped" : "Running"
      min_size                    = warm_pool.value == 1 ? 1 : 0
      max_group_prepared_capacity = warm_pool.value == 1 ? 2 : 3
      instance_reuse_policy {
        reuse_on_scale_in = warm_pool.value == 1
      }
    }
  }
}
