"""What a package costs on a device, by estimate."""
