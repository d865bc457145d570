"""Tasks: what a child is trained on and measured by. Images, texts, and the protocol of one's own.

A `nas_gym.training.tasks.task.Task` has the data, the loss, the metric and the steps of a training.
"""
