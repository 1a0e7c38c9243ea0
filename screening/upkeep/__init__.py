"""Keeping an installation in order: room for uploads, clean-up, database against storage, backups."""
