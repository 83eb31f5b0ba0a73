"""Who is asking: client certificates, service-account tokens, anonymous; and speaking for others (impersonation)."""
