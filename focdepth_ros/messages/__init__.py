"""What is read from messages without ROS, so that bags and nodes share it."""
