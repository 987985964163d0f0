"""FrankaKitchen: its physics, tasks, recordings, scripted expert and operator."""
