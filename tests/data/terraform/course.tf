# The whole laboratory of a course, as its students write it: security groups, a key, a launch template
# with user data, a load balancer in front of an Auto Scaling group, every kind of policy, alarms, a
# dashboard, a volume. "greeting" is what a change in place changes: a new version of the template, which
# an instance refresh brings to the instances.
variable "port" { type = number }
variable "greeting" { default = "hello" }

data "aws_caller_identity" "me" {}
data "aws_availability_zones" "available" { state = "available" }
data "aws_vpc" "default" { default = true }
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

resource "aws_security_group" "alb" {
  name        = "course-alb"
  description = "Who may reach the load balancer"
  vpc_id      = data.aws_vpc.default.id
  ingress {
    from_port   = 80
    to_port     = 80
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}
resource "aws_security_group" "web" {
  name   = "course-web"
  vpc_id = data.aws_vpc.default.id
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}
resource "aws_vpc_security_group_ingress_rule" "from_alb" {
  security_group_id            = aws_security_group.web.id
  referenced_security_group_id = aws_security_group.alb.id
  from_port                    = 8000
  to_port                      = 8000
  ip_protocol                  = "tcp"
}
resource "aws_key_pair" "course" {
  key_name   = "course"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS course"
}

resource "aws_launch_template" "web" {
  name                   = "course-web"
  image_id               = data.aws_ami.linux.id
  instance_type          = "t3.micro"
  key_name               = aws_key_pair.course.key_name
  vpc_security_group_ids = [aws_security_group.web.id]
  update_default_version = true
  user_data              = base64encode(<<-EOF
    #!/bin/bash
    mkdir -p www && cd www && echo "${var.greeting}" >index.html
    exec python3 -m http.server --bind "$${HOST:-0.0.0.0}" 8000
  EOF
  )
  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "course-web" }
  }
}

resource "aws_lb" "web" {
  name               = "course"
  load_balancer_type = "application"
  internal           = false
  security_groups    = [aws_security_group.alb.id]
  subnets            = data.aws_subnets.default.ids
}
resource "aws_lb_target_group" "web" {
  name                 = "course"
  port                 = 8000
  protocol             = "HTTP"
  vpc_id               = data.aws_vpc.default.id
  deregistration_delay = 1
  health_check {
    path                = "/"
    interval            = 5
    timeout             = 2
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.web.arn
  port              = var.port
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web.arn
  }
}
resource "aws_lb_listener_rule" "about" {
  listener_arn = aws_lb_listener.http.arn
  priority     = 10
  action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "the course's load balancer"
      status_code  = "200"
    }
  }
  condition {
    path_pattern { values = ["/about"] }
  }
}

resource "aws_autoscaling_group" "web" {
  name                      = "course"
  min_size                  = 1
  max_size                  = 3
  desired_capacity          = 2
  vpc_zone_identifier       = data.aws_subnets.default.ids
  target_group_arns         = [aws_lb_target_group.web.arn]
  health_check_type         = "ELB"
  health_check_grace_period = 10
  min_elb_capacity          = 2
  default_instance_warmup   = 1
  enabled_metrics           = ["GroupDesiredCapacity", "GroupInServiceInstances"]
  suspended_processes       = ["AZRebalance"]
  launch_template {
    id      = aws_launch_template.web.id
    version = aws_launch_template.web.latest_version
  }
  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 50
      instance_warmup        = 1
    }
  }
  tag {
    key                 = "Course"
    value               = "cloud"
    propagate_at_launch = true
  }
}
resource "aws_autoscaling_policy" "track" {
  name                   = "cpu-at-60"
  autoscaling_group_name = aws_autoscaling_group.web.name
  policy_type            = "TargetTrackingScaling"
  target_tracking_configuration {
    predefined_metric_specification { predefined_metric_type = "ASGAverageCPUUtilization" }
    target_value     = 60
    disable_scale_in = true
  }
}
resource "aws_autoscaling_policy" "more" {
  name                   = "one-more"
  autoscaling_group_name = aws_autoscaling_group.web.name
  adjustment_type        = "ChangeInCapacity"
  scaling_adjustment     = 1
  cooldown               = 60
}
resource "aws_autoscaling_policy" "steps" {
  name                   = "in-steps"
  autoscaling_group_name = aws_autoscaling_group.web.name
  policy_type            = "StepScaling"
  adjustment_type        = "ChangeInCapacity"
  step_adjustment {
    metric_interval_lower_bound = 0
    metric_interval_upper_bound = 20
    scaling_adjustment          = 1
  }
  step_adjustment {
    metric_interval_lower_bound = 20
    scaling_adjustment          = 2
  }
}
resource "aws_autoscaling_schedule" "night" {
  scheduled_action_name  = "night"
  autoscaling_group_name = aws_autoscaling_group.web.name
  min_size               = 1
  max_size               = 1
  desired_capacity       = 1
  recurrence             = "0 22 29 2 *"
  time_zone              = "Europe/Paris"
}
resource "aws_cloudwatch_metric_alarm" "busy" {
  alarm_name          = "course-busy"
  namespace           = "AWS/EC2"
  metric_name         = "CPUUtilization"
  dimensions          = { AutoScalingGroupName = aws_autoscaling_group.web.name }
  statistic           = "Average"
  period              = 60
  evaluation_periods  = 2
  threshold           = 95
  comparison_operator = "GreaterThanOrEqualToThreshold"
  alarm_description   = "busy with ${var.greeting}"
  alarm_actions       = [aws_autoscaling_policy.more.arn]
}
resource "aws_cloudwatch_dashboard" "course" {
  dashboard_name = "course"
  dashboard_body = jsonencode({
    widgets = [{
      type = "metric", x = 0, y = 0, width = 12, height = 6
      properties = {
        region = "us-east-1", title = "CPU", period = 60, stat = "Average"
        metrics = [["AWS/EC2", "CPUUtilization", "AutoScalingGroupName", "course"]]
      }
    }]
  })
}
resource "aws_ebs_volume" "data" {
  availability_zone = data.aws_availability_zones.available.names[0]
  size              = 1
  type              = "gp3"
  tags              = { Name = "course-data" }
}

output "dns" { value = aws_lb.web.dns_name }
output "account" { value = data.aws_caller_identity.me.account_id }
