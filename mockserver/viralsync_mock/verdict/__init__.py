"""How well the client behaved, rule by rule."""
