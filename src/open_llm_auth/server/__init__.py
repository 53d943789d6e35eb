"""The verbs and the surfaces: what the gateway does with a request, between the ASGI edge and the transport port."""
