"""Training and fine-tuning, with or without a teacher."""
