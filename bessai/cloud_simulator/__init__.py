"""A Pub/Sub service of our own, for tests and for trying the gateway without Google: real gRPC, faults on order."""
