"""`python -m kubeadm`, what the script `skiff` runs."""

from kubeadm.cli import main

if __name__ == "__main__":
    main()
