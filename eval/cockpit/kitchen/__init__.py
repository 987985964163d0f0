"""What the cockpit does in FrankaKitchen only; nothing else of it knows the kitchen."""
