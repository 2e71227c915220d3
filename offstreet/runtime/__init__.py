"""What brings the product up on one machine: the embedded broker and the process manager of `make demo`."""
