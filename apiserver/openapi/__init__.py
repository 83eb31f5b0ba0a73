"""The OpenAPI documents (v3 per group and version, v2 as JSON and protobuf), written from table and schema.

``kubectl explain``, client-side validation and the probing for ``fieldValidation`` and ``dryRun`` live on them.
Everything is a pure function of the resource table and the official definitions, built when first asked for.
"""
