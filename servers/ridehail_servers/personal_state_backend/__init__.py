"""What the two back ends of personal states share because their contracts do; how they store states is their own."""
