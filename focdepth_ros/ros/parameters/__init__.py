"""The parameters of each node; ``config/`` has a file for each, with the defaults.

How parameters are declared, read, checked and changed is in `focdepth_ros.ros.params`.
"""
