"""Parts of the page of universal perturbations, and of the live page what shows them."""
