"""What Orderflow costs and how fast it is, beside others that do the same business: `./orderflow bench`."""
