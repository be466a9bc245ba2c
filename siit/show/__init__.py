"""Pictures of a model: its circuit, its attention, and what each part does; `python -m siit.show MODEL`."""
