"""Where everything is kept: tables, transactions, migrations. Implements `bot.ports.store`."""
