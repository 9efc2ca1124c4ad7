"""The shop whose account is simulated: what it sells, who its people are, and what they do."""
