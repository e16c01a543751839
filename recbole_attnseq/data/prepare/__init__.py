"""Preparers: owners' downloads, or any table, into RecBole's atomic files."""
