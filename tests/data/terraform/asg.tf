# A group with all that hangs on it, but without a load balancer: policies of each kind, alarms, schedules, a hook,
# notifications, metrics, an instance refresh when the template changes.
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
  name          = "web"
  image_id      = data.aws_ami.linux.id
  instance_type = "t3.small"
  user_data     = base64encode("#!/bin/sh\n# ${var.changed ? "two" : "one"}\nexec sleep 100000\n")
}

resource "aws_lb_target_group" "web" {
  count                = 2
  name                 = "web-${count.index}"
  port                 = 8000
  protocol             = "HTTP"
  vpc_id               = data.aws_vpc.default.id
  deregistration_delay = 0
}

resource "aws_autoscaling_group" "web" {
  name                      = "web"
  min_size                  = 1
  max_size                  = var.changed ? 5 : 4
  desired_capacity          = 2
  default_cooldown          = 30
  default_instance_warmup   = 0
  health_check_grace_period = 10
  termination_policies      = ["OldestLaunchTemplate", "Default"]
  vpc_zone_identifier       = data.aws_subnets.default.ids
  enabled_metrics           = var.changed ? ["GroupMinSize"] : ["GroupMinSize", "GroupTotalCapacity"]
  suspended_processes       = var.changed ? [] : ["AZRebalance"]
  protect_from_scale_in     = true
  wait_for_capacity_timeout = "2m"
  launch_template {
    id      = aws_launch_template.web.id
    version = aws_launch_template.web.latest_version
  }
  initial_lifecycle_hook {
    name                 = "first"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_LAUNCHING"
    heartbeat_timeout    = 30
    default_result       = "CONTINUE"
  }
  instance_maintenance_policy {
    min_healthy_percentage = 50
    max_healthy_percentage = 150
  }
  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage       = 0
      instance_warmup              = 0
      scale_in_protected_instances = "Refresh"
    }
  }
  tag {
    key                 = "Stage"
    value               = var.changed ? "two" : "one"
    propagate_at_launch = true
  }
  lifecycle {
    ignore_changes = [target_group_arns, traffic_source]
  }
}

resource "aws_autoscaling_attachment" "web" {
  autoscaling_group_name = aws_autoscaling_group.web.name
  lb_target_group_arn    = aws_lb_target_group.web[0].arn
}

resource "aws_autoscaling_traffic_source_attachment" "web" {
  autoscaling_group_name = aws_autoscaling_group.web.name
  traffic_source {
    identifier = aws_lb_target_group.web[1].arn
    type       = "elbv2"
  }
}

resource "aws_autoscaling_policy" "cpu" {
  name                   = "cpu"
  autoscaling_group_name = aws_autoscaling_group.web.name
  policy_type            = "TargetTrackingScaling"
  target_tracking_configuration {
    predefined_metric_specification {
      predefined_metric_type = "ASGAverageCPUUtilization"
    }
    target_value     = var.changed ? 60 : 50
    disable_scale_in = true
  }
}

resource "aws_autoscaling_policy" "step" {
  name                      = "step"
  autoscaling_group_name    = aws_autoscaling_group.web.name
  policy_type               = "StepScaling"
  adjustment_type           = "PercentChangeInCapacity"
  min_adjustment_magnitude  = var.changed ? 2 : 1
  estimated_instance_warmup = 60
  step_adjustment {
    metric_interval_lower_bound = 0
    metric_interval_upper_bound = 20
    scaling_adjustment          = 10
  }
  step_adjustment {
    metric_interval_lower_bound = 20
    scaling_adjustment          = 30
  }
}

resource "aws_autoscaling_policy" "simple" {
  name                   = "simple"
  autoscaling_group_name = aws_autoscaling_group.web.name
  adjustment_type        = "ChangeInCapacity"
  scaling_adjustment     = var.changed ? -1 : 1
  cooldown               = 60
}

resource "aws_cloudwatch_metric_alarm" "busy" {
  alarm_name          = "busy"
  namespace           = "AWS/EC2"
  metric_name         = "CPUUtilization"
  statistic           = "Average"
  period              = 60
  evaluation_periods  = 2
  threshold           = 70
  comparison_operator = "GreaterThanThreshold"
  alarm_actions       = [aws_autoscaling_policy.step.arn, aws_autoscaling_policy.simple.arn]
  dimensions          = { AutoScalingGroupName = aws_autoscaling_group.web.name }
}

resource "aws_autoscaling_schedule" "morning" {
  scheduled_action_name  = "morning"
  autoscaling_group_name = aws_autoscaling_group.web.name
  recurrence             = var.changed ? "0 7 * * 1-5" : "0 6 * * 1-5"
  time_zone              = "Europe/Berlin"
  min_size               = 1
  max_size               = -1
  desired_capacity       = 3
}

resource "aws_autoscaling_schedule" "once" {
  scheduled_action_name  = "once"
  autoscaling_group_name = aws_autoscaling_group.web.name
  start_time             = "2099-01-01T00:00:00Z"
  min_size               = 0
  max_size               = 0
  desired_capacity       = 0
}

resource "aws_autoscaling_lifecycle_hook" "bye" {
  name                   = "bye"
  autoscaling_group_name = aws_autoscaling_group.web.name
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_TERMINATING"
  heartbeat_timeout      = var.changed ? 40 : 30
  default_result         = "CONTINUE"
}

resource "aws_autoscaling_notification" "all" {
  group_names   = [aws_autoscaling_group.web.name]
  topic_arn     = "arn:aws:sns:us-east-1:000000000000:mail"
  notifications = ["autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_TERMINATE"]
}
