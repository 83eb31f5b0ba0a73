"""Questions as objects: who is this token, who am I, may I. They are created, answered and never stored."""
