"""Telegram: updates in, messages out, and what its errors mean for us.

The vendor's classes stay in this package. What comes in leaves as `bot.ports.inbound.ChatEvent`, what goes out arrives
as `bot.ports.records.Outgoing`, and what goes wrong is raised as one of `bot.errors`. No decision about customers,
sales or consent is taken here.
"""
