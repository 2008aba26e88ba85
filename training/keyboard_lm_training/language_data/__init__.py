"""What a language pack is made from."""
