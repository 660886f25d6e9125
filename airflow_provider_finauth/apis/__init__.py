"""What is particular to each API: one file each, and nothing of it anywhere else."""
