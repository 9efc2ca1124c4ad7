"""What a run reads, and when: decided here, without Dagster."""
