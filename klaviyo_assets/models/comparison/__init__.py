"""The models beside those of Fivetran's dbt packages, built of the same tables: what differs, and whether by design."""
