# Predictive policies of every form, and a composite alarm whose actions another alarm suppresses.

variable "changed" {
  type    = bool
  default = false
}

resource "aws_autoscaling_policy" "pair" {
  name                   = "pair"
  autoscaling_group_name = "web"
  policy_type            = "PredictiveScaling"
  predictive_scaling_configuration {
    mode                         = var.changed ? "ForecastAndScale" : "ForecastOnly"
    scheduling_buffer_time       = var.changed ? 0 : 600
    max_capacity_breach_behavior = "IncreaseMaxCapacity"
    max_capacity_buffer          = 10
    metric_specification {
      target_value = var.changed ? 40 : 50
      predefined_metric_pair_specification {
        predefined_metric_type = "ALBRequestCount"
        resource_label         = "app/web/0123456789abcdef/targetgroup/web/0123456789abcdef"
      }
    }
  }
}

resource "aws_autoscaling_policy" "two" {
  name                   = "two"
  autoscaling_group_name = "web"
  policy_type            = "PredictiveScaling"
  predictive_scaling_configuration {
    metric_specification {
      target_value = 32
      predefined_scaling_metric_specification {
        predefined_metric_type = "ASGAverageCPUUtilization"
        resource_label         = ""
      }
      predefined_load_metric_specification {
        predefined_metric_type = "ASGTotalCPUUtilization"
        resource_label         = ""
      }
    }
  }
}

resource "aws_autoscaling_policy" "own" {
  name                   = "own"
  autoscaling_group_name = "web"
  policy_type            = "PredictiveScaling"
  predictive_scaling_configuration {
    metric_specification {
      target_value = 10
      customized_load_metric_specification {
        metric_data_queries {
          id = "load"
          metric_stat {
            metric {
              namespace   = "Own"
              metric_name = "Jobs"
              dimensions {
                name  = "Queue"
                value = "main"
              }
            }
            stat = "Sum"
          }
        }
      }
      customized_scaling_metric_specification {
        metric_data_queries {
          id         = "half"
          expression = "busy / 2"
        }
        metric_data_queries {
          id          = "busy"
          return_data = false
          metric_stat {
            metric {
              namespace   = "Own"
              metric_name = "Busy"
            }
            stat = "Average"
          }
        }
      }
      customized_capacity_metric_specification {
        metric_data_queries {
          id = "workers"
          metric_stat {
            metric {
              namespace   = "Own"
              metric_name = "Workers"
            }
            stat = "Average"
          }
        }
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "one" {
  count               = 2
  alarm_name          = "alarm-${count.index}"
  namespace           = "Own"
  metric_name         = "Busy"
  statistic           = "Average"
  period              = 60
  evaluation_periods  = 1
  threshold           = 70
  comparison_operator = "GreaterThanThreshold"
}

resource "aws_cloudwatch_composite_alarm" "both" {
  alarm_name = "both"
  alarm_rule = "ALARM(${aws_cloudwatch_metric_alarm.one[0].alarm_name})"
  actions_suppressor {
    alarm            = aws_cloudwatch_metric_alarm.one[1].alarm_name
    wait_period      = 20
    extension_period = var.changed ? 20 : 10
  }
}
