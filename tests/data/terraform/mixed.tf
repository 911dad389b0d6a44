# A group of several types, weights and markets, changed in place and refreshed.
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

data "aws_ami" "linux" {
  most_recent = true
  owners      = ["amazon"]
  filter {
    name   = "name"
    values = ["al2023-ami-2023*-x86_64"]
  }
}

resource "aws_launch_template" "web" {
  count         = 2
  name          = "web-${count.index}"
  image_id      = data.aws_ami.linux.id
  instance_type = "t3.nano"
  user_data     = base64encode("#!/bin/sh\nexec sleep 100000\n")
}

resource "aws_autoscaling_group" "web" {
  name                      = "web"
  min_size                  = 0
  max_size                  = 8
  desired_capacity          = 4
  default_instance_warmup   = 0
  capacity_rebalance        = true
  vpc_zone_identifier       = data.aws_subnets.default.ids
  wait_for_capacity_timeout = "2m"
  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = 1
      on_demand_percentage_above_base_capacity = var.changed ? 0 : 50
      on_demand_allocation_strategy            = "prioritized"
      spot_allocation_strategy                 = var.changed ? "price-capacity-optimized" : "capacity-optimized"
      spot_max_price                           = "0.09"
    }
    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.web[0].id
        version            = "$Latest"
      }
      override {
        instance_type     = "t3.micro"
        weighted_capacity = "1"
      }
      override {
        instance_type     = var.changed ? "t3.medium" : "t3.small"
        weighted_capacity = "2"
        launch_template_specification {
          launch_template_id = aws_launch_template.web[1].id
        }
      }
    }
  }
  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 0
      instance_warmup        = 0
    }
  }
}
