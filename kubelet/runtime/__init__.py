"""The container runtime behind one interface: `docker` for real, `hollow` for simulated nodes."""
