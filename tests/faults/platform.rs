//! What the platform itself says: its limits kept, its refusals obeyed.
