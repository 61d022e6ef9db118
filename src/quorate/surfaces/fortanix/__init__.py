"""The Fortanix surface: quorum approval requests as `sdkms` and the vendor's other clients know them."""
