"""Sign-ins and renewals as generators: each yields what it needs of the world, a driver does it (SPEC §5)."""
