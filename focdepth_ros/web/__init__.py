"""``focdepth web``: depth from focus in a browser, for people who have no ROS at hand.

What is done with a stack is in modules without a web framework: `uploads`, `scenes`, `answer`,
`visits`. Only `page`, `handlers` and `server` import Gradio, and only ``focdepth web`` imports
those.
"""
