"""`orderflow chaos`: orders through every fault that we know how to make, and then the count."""
