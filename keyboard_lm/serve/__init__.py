"""The engine as a service: stateless HTTP, and a socket for each keyboard."""
