"""Says before a change which organizations would move, and which side answers each now."""
