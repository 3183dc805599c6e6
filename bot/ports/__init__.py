"""The doors of the house: what the use cases ask of storage, of Telegram, of Slack and of the clock.

`bot.ports.records` holds the values that pass through them, `bot.ports.store` the door to storage, `bot.ports.channels`
the doors to people. Protocols only: no behaviour.
"""
