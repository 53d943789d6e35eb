"""Pure decisions: who may call, where bytes may go, and which attempt comes next."""
