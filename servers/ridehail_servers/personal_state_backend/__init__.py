"""What the back ends of personal states have to agree on, as their contract says; how they keep states is their own."""
