"""The parts of `focdepth_ros.sweep`, and the types in which it speaks."""
