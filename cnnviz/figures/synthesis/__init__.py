"""Pictures of preferred inputs."""
