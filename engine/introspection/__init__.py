"""What model code may ask about the model itself: one module per capability, one table per arm."""
