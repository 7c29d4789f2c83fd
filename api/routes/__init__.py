"""The operations of the API, one router per noun."""
