"""The flow studio: flows in a list, and one of them under somebody's hands, with all that shows what it does.

What is decided stands elsewhere: `bot.app.editing` (files), `bot.flows.check` (what is wrong), `bot.publishing`
(versions), `bot.trials` (tests and plays). Here it is drawn, and people's wishes are handed on.
"""
